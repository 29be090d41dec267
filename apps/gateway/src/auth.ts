/** Who may: one admin token for now, compared in constant time. */
import {createHash, timingSafeEqual} from 'node:crypto';
import {commonErrors} from '@hivemind/contracts';
import type {HttpServer} from '@hivemind/service';
import {z} from 'zod';
import {gatewayErrors} from './errors.ts';

/** Answers whether a token is the right one, in a time that says nothing of how near it was. */
export type TokenCheck = (token: string) => boolean;

export function tokenCheck(secret: string): TokenCheck {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  const expected = digest(secret);
  return (token) => timingSafeEqual(digest(token), expected);
}

/** Refuses every request without the token, save those to routes that are `open`. */
export function requireToken(app: HttpServer, isRight: TokenCheck): void {
  app.addHook('onRequest', async (request) => {
    if (request.routeOptions.config.open === true) return;
    const token = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1];
    if (token === undefined) throw commonErrors.unauthorized('Send Authorization: Bearer TOKEN. The token is in admin.token of the data dir.');
    if (!isRight(token)) throw gatewayErrors['wrong-token']('This token is not valid here. The token is in admin.token of the data dir.');
  });
}

/** `POST /auth/login`: is this token right? */
export function loginRoute(api: HttpServer, isRight: TokenCheck): void {
  api.post('/auth/login', {config: {open: true}, schema: {summary: 'Check a token', tags: ['gateway'], body: z.strictObject({token: z.string().min(1).max(4096)})}}, async (request, reply) => {
    if (!isRight(request.body.token)) throw gatewayErrors['wrong-token']('This token is not valid here. The token is in admin.token of the data dir.');
    return reply.code(204).send();
  });
}
