/** Routes of the scheduler, all of them read-only. */
import {AppBody, placementRequest, placementStrategies, templateOf, unsupportedFields} from '@hivemind/contracts';
import {namespaceOf, NamespaceQuery, type HttpServer} from '@hivemind/service';
import * as z from 'zod';
import {explain, filterNames, place} from '../core/place.ts';
import {errors} from '../errors.ts';
import type {Explanation, SchedulerConfig, Simulation} from '../model.ts';
import type {ClusterView} from './view.ts';

export function mountRoutes(app: HttpServer, view: () => ClusterView): void {
  app.get('/scheduler/config', {schema: {summary: 'How containers are placed', tags: ['scheduler']}}, async (): Promise<SchedulerConfig> => ({
    kind: 'SchedulerConfig',
    spec: {strategy: 'best-fit', strategies: [...placementStrategies], spread: 'soft', filters: [...filterNames]},
  }));

  app.post('/scheduler/simulate', {schema: {summary: 'Where the replicas of an app would go now; nothing is written', tags: ['scheduler'], querystring: NamespaceQuery, body: AppBody}}, async ({query, body}) =>
    simulate(body, query, view()),
  );

  app.get(
    '/scheduler/explain/:container',
    {schema: {summary: 'What each node would say to a container', tags: ['scheduler'], params: z.object({container: z.string()})}},
    async ({params: {container: id}}): Promise<Explanation> => {
      const record = view().container(id);
      if (record === undefined) throw errors['container-not-found'](`There is no container ${id}.`);
      const request = placementRequest({...record, volumeNode: (volume) => view().volumeNode(record.namespace, volume)});
      return {container: id, node: record.node, nodes: [...explain(request, view().nodes(), {sharedPorts: view().sharedPorts()})]};
    },
  );
}

/** Answers for the first 1,000 replicas: beyond that, the same again. */
const MOST_SIMULATED = 1000;

function simulate(body: z.infer<typeof AppBody>, query: {readonly namespace?: string | undefined}, view: ClusterView): Simulation {
  const refused = unsupportedFields(body.spec);
  if (refused[0]) throw errors['not-supported'](`${refused[0].path} ${refused[0].message}`, {errors: refused});
  const namespace = namespaceOf(query, body);
  const template = templateOf(body.spec);
  const perNode = body.spec.mode === 'global';
  const count = perNode ? view.globalNodes(template.placement) : body.spec.replicas;
  const requests = Array.from({length: Math.min(count, MOST_SIMULATED)}, (_, index) =>
    placementRequest({id: `${body.name}-${index + 1}`, namespace, app: body.name, template, perNode, volumeNode: (volume) => view.volumeNode(namespace, volume)}),
  );
  const {placements, refusals} = place(requests, view.nodes(), {sharedPorts: view.sharedPorts()});
  return {
    app: body.name,
    namespace,
    placements: placements.map(({id, node, ports}) => ({container: id, node, ports: [...ports]})),
    refusals: refusals.map(({id, nodes}) => ({container: id, nodes: [...nodes]})),
  };
}
