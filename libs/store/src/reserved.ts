/** What the store keeps for itself among the records. No imports: the writer's thread loads this. */

/** Elections are won by `campaign` alone; a put here could forge a leader. `created` is the fencing revision. */
export const ELECTIONS = 'elections';

export const electionValue = (holder: string): string => JSON.stringify({holder});
