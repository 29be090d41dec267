/** /nodes/join-tokens, and the routes that machines ask before they have a credential of their own. */
import {AuthorityReply, CreatedJoinToken, CredentialsReply, CredentialsRequest, JoinReply, JoinRequest, JoinToken, NewJoinToken} from '@hivemind/contracts';
import type {HttpServer, ManagerContext} from '@hivemind/service';
import * as z from 'zod';
import {Attempts} from './join-attempts.ts';
import type {Join} from './join.ts';

const tags = ['node'];

export interface JoinRoutes {
  readonly app: HttpServer;
  readonly context: Pick<ManagerContext, 'cluster' | 'now'>;
  readonly join: Join;
}

export function joinRoutes({app, context, join}: JoinRoutes): void {
  const attempts = new Attempts(() => context.now());

  app.post('/nodes/join-tokens', {schema: {tags, summary: 'A token with which machines join; it is shown only here', body: NewJoinToken.prefault({}), response: {201: CreatedJoinToken}}}, async (request, reply) => {
    const {hash} = await join.authority();
    return reply.code(201).header('cache-control', 'no-store').send(await join.tokens.create(request.body, hash));
  });

  app.get('/nodes/join-tokens', {schema: {tags, summary: 'Join tokens, without their secrets', response: {200: z.object({items: z.array(JoinToken)})}}}, async () => ({items: [...(await join.tokens.list())]}));

  app.delete('/nodes/join-tokens/:id', {schema: {tags, summary: 'Make a join token void; machines that joined with it stay', params: z.object({id: z.string()})}}, async (request, reply) => {
    await join.tokens.remove(request.params.id);
    return reply.code(204).send();
  });

  // Open: what is answered is public, or the token or the machine's key says who asks.
  app.get('/nodes/authority', {config: {open: true}, schema: {tags, summary: 'The certificate of the cluster\'s authority', response: {200: AuthorityReply}}}, async () => ({cluster: context.cluster, ca: (await join.authority()).ca}));

  app.post('/nodes/join', {config: {open: true}, schema: {tags, summary: 'Become a node: the token says that one may', body: JoinRequest, response: {200: JoinReply}}}, async (request, reply) => {
    reply.header('cache-control', 'no-store');
    return attempts.of(request.ip, () => join.join(request.body));
  });

  app.post('/nodes/:name/credentials', {config: {open: true}, schema: {tags, summary: 'Credentials of the bus for a node that has none left: its signature says that it is the one', params: z.object({name: z.string()}), body: CredentialsRequest, response: {200: CredentialsReply}}}, async (request, reply) => {
    reply.header('cache-control', 'no-store');
    return join.renew(request.params.name, request.body);
  });
}
