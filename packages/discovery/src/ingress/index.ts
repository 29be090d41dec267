/** What the keeper of HAProxy needs of ingress. Loads no schemas. */
export {PLAN_FILE, NOTHING, planText, type ProxyPlan, type ProxyState, readPlan, socketsOf} from '../core/ingress/plan.ts';
export {LOOK_AT_PLACES, type Place, placesOf, type Steps, stepsTo} from '../core/ingress/steer.ts';
