/** What the keeper of HAProxy needs of ingress. Loads no schemas. */
export {commandsFor, departures, PLAN_FILE, planText, type ProxyPlan, type ProxyState, readPlan, standings} from '../core/ingress/plan.ts';
