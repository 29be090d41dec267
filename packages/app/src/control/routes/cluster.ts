/** Routes about what is held after the store was rewound (law 12). */
import * as z from 'zod';
import type {HttpServer} from '@hivemind/service';
import type {Adoption} from '../adoption.ts';

const tags = ['cluster'];
const AdoptBody = z.strictObject({mode: z.enum(['keep', 'discard']).default('keep')}).prefault({});

export function mountClusterRoutes(app: HttpServer, adoption: Adoption): void {
  app.get('/cluster/adoption', {schema: {summary: 'What the machines run that the store does not list', tags}}, async () => {
    const {strangers, ...state} = await adoption.status();
    return {
      kind: 'Adoption',
      ...state,
      strangers: strangers.map(({id, node, running, origin, reportedAt}) => ({
        id, node, running, reportedAt,
        ...(origin === null ? {} : {namespace: origin.container.namespace, app: origin.container.app, revision: origin.container.revision, image: origin.container.template.image}),
      })),
    };
  });

  app.post('/cluster/adopt', {schema: {summary: 'Keep what runs and rebuild its records, or let it be removed', tags, body: AdoptBody}}, async (request) => {
    const {mode} = request.body;
    return {kind: 'Adoption', mode, ...(await adoption.decide(mode))};
  });
}
