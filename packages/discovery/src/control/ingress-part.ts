/** The manager's part that is about ingress: its routes, what machines ask, and what they are told. */
import {serve, type Subscription} from '@hivemind/bus';
import {getIngresses} from '@hivemind/contracts';
import {systemClock} from '@hivemind/controller';
import type {HttpServer, ManagerContext} from '@hivemind/service';
import {discoveryErrors} from '../errors.ts';
import {ingressRoutes} from './ingress-routes.ts';
import {IngressViews, tellOfIngresses} from './ingress-views.ts';
import {Ingresses} from './ingresses.ts';
import type {Tables} from './tables.ts';

export interface IngressPart {
  routes(app: HttpServer): void;
  /** Answers machines. The tables are ready. */
  serve(): Promise<Subscription>;
  /** Tells machines, as the one who leads; answers how to stop. */
  lead(): () => void;
}

export function createIngressPart(context: Pick<ManagerContext, 'store' | 'bus' | 'now' | 'uid' | 'logger'>, tables: () => Tables, held: () => boolean): IngressPart {
  const {bus, logger} = context;
  let made: IngressViews | undefined;
  const views = (): IngressViews => (made ??= new IngressViews(tables()));
  return {
    routes: (app) => ingressRoutes(app, new Ingresses(context, tables, views), tables),
    serve: () => serve(bus, getIngresses, {}, async ({after}, {tokens: {node}}) => {
      if (held()) throw discoveryErrors['names-held']('The store was lost or rewound and is not adopted (hivemind cluster adopt): machines keep the ingresses that they have.', {retryAfterMs: 5_000});
      return views().page(node, after);
    }, {queue: 'discovery'}),
    lead: () => tellOfIngresses({bus, tables: tables(), views: views(), held, clock: systemClock, logger}),
  };
}
