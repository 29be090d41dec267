/** Join tokens: made, shown once, kept as the hash of their secret, and used up. */
import {collections, commonErrors, type CreatedJoinToken, durationMs, type JoinToken, type JoinTokenRecord, type NewJoinToken} from '@hivemind/contracts';
import type {ManagerContext} from '@hivemind/service';
import {collection, type Stored} from '@hivemind/store';
import {isSecret, type JoinTokenParts, newJoinToken, secretHash} from '@hivemind/trust';
import type * as z from 'zod';
import {joinErrors} from './join-errors.ts';

export const joinTokens = collection(collections.joinTokens);

const DEFAULT_TTL = '1h';
const LONGEST_TTL_MS = 30 * 86_400_000;
/** A token that nobody can use any more is forgotten after so long. */
const KEEP_SPENT_MS = 86_400_000;

export class JoinTokens {
  readonly #context: Pick<ManagerContext, 'store' | 'now'>;

  constructor(context: Pick<ManagerContext, 'store' | 'now'>) {
    this.#context = context;
  }

  /** @throws `invalid-input` 422 */
  async create({ttl = DEFAULT_TTL, uses, labels}: z.output<typeof NewJoinToken>, authorityHash: string): Promise<z.infer<typeof CreatedJoinToken>> {
    const ttlMs = durationMs(ttl);
    if (ttlMs <= 0 || ttlMs > LONGEST_TTL_MS) throw commonErrors['invalid-input'](`A join token is valid for more than nothing and at most 30 days, not ${ttl}.`, {errors: [{path: 'ttl', message: 'is not between 1ms and 30d'}]});
    const {id, secret, token} = newJoinToken(authorityHash);
    const [createdAt = '', expiresAt = ''] = [0, ttlMs].map((later) => new Date(this.#context.now() + later).toISOString());
    await this.#forgetSpent();
    await joinTokens.in(this.#context.store).put(id, {id, secretHash: secretHash(secret), createdAt, expiresAt, uses, usedBy: [], labels}, {expect: 0});
    return {id, token, expiresAt};
  }

  async list(): Promise<readonly JoinToken[]> {
    const {items} = await joinTokens.in(this.#context.store).list();
    return items.map(({value: {secretHash: _, ...shown}}) => shown);
  }

  /** @throws `join-token-not-found` 404 */
  async remove(id: string): Promise<void> {
    if (!(await joinTokens.in(this.#context.store).delete(id))) throw joinErrors['join-token-not-found'](`There is no join token ${id}: GET /nodes/join-tokens lists what there is.`);
  }

  /**
   * The token's record, valid now, though it may be used up. An unknown id and a wrong secret are answered alike.
   * @throws `join-token-invalid`, `join-token-expired` 403
   */
  async find({id, secret}: JoinTokenParts): Promise<Stored<JoinTokenRecord>> {
    const record = await joinTokens.in(this.#context.store).get(id);
    if (!record || !isSecret(secret, record.value.secretHash)) throw joinErrors['join-token-invalid']('This token was not made here, or was deleted. Make one with hivemind node join-token.');
    if (Date.parse(record.value.expiresAt) <= this.#context.now()) throw joinErrors['join-token-expired'](`This token expired at ${record.value.expiresAt}. Make one with hivemind node join-token.`);
    return record;
  }

  async #forgetSpent(): Promise<void> {
    const before = this.#context.now() - KEEP_SPENT_MS;
    const tokens = joinTokens.in(this.#context.store);
    const {items} = await tokens.list();
    await Promise.all(items.filter(({value}) => Date.parse(value.expiresAt) < before).map(({key}) => tokens.delete(key)));
  }
}
