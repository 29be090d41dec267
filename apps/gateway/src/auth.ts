/** Who may: one admin token for now, compared in constant time. */
import {timingSafeEqual} from 'node:crypto';
import {commonErrors} from '@hivemind/contracts';
import type {Caller, HttpServer} from '@hivemind/service';
import * as z from 'zod';
import {tokenHash} from './admin-token.ts';
import {gatewayErrors} from './errors.ts';

/** Answers whether a token is the right one, in a time that says nothing of how near it was. */
export type TokenCheck = (token: string) => boolean;

const ADMIN: Caller = {name: 'admin'};
/** What a browser, which cannot set headers on a WebSocket, offers beside the protocol that it wants. */
const BEARER_PROTOCOL = 'bearer.';

/** `hash`: of the right token (`tokenHash`). */
export function tokenCheck(hash: string): TokenCheck {
  const expected = Buffer.from(hash);
  return (token) => timingSafeEqual(Buffer.from(tokenHash(token)), expected);
}

/** Refuses every request without the token, save those to routes that are `open`. */
export function requireToken(app: HttpServer, isRight: TokenCheck): void {
  app.decorateRequest('caller', undefined);
  app.addHook('onRequest', async (request) => {
    if (request.routeOptions.config.open === true) return;
    const {authorization, upgrade, 'sec-websocket-protocol': offered} = request.headers;
    const token = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1] ?? (upgrade === undefined ? undefined : offeredToken(offered));
    if (token === undefined) throw commonErrors.unauthorized('Send Authorization: Bearer TOKEN. The token is in admin.token of the data dir.');
    if (!isRight(token)) throw gatewayErrors['wrong-token']('This token is not valid here. The token is in admin.token of the data dir.');
    request.caller = ADMIN;
  });
}

/** The subprotocols that a WebSocket offers, without the one that carries the token. */
export function withoutToken(offered: string): string {
  return protocols(offered).filter((protocol) => !protocol.startsWith(BEARER_PROTOCOL)).join(', ');
}

function offeredToken(offered: string | undefined): string | undefined {
  return protocols(offered ?? '').find((protocol) => protocol.startsWith(BEARER_PROTOCOL))?.slice(BEARER_PROTOCOL.length);
}

const protocols = (offered: string): readonly string[] => offered.split(',').map((protocol) => protocol.trim()).filter((protocol) => protocol !== '');

/** `POST /auth/login`: is this token right? */
export function loginRoute(api: HttpServer, isRight: TokenCheck): void {
  api.post('/auth/login', {config: {open: true}, schema: {summary: 'Check a token', tags: ['gateway'], body: z.strictObject({token: z.string().min(1).max(4096)})}}, async (request, reply) => {
    if (!isRight(request.body.token)) throw gatewayErrors['wrong-token']('This token is not valid here. The token is in admin.token of the data dir.');
    return reply.code(204).send();
  });
}
