/**
 * What sidecars reported last, put together from whole and partial reports. Pure.
 *
 * A report counts only in its place: a repeated or late one changes nothing, after a missing one nothing more is believed of
 * that sidecar until it has told the whole again, and what an earlier start of it still sends is never taken.
 */
import type {MembershipReport, MemberSighting} from '@hivemind/contracts';

/** Without a word for so long (ms), three reports, a sidecar has no say. */
export const FRESH_MS = 30_000;
/** Earlier starts of a sidecar that are remembered. */
const FORMER_BOOTS = 4;

interface Book {
  readonly boot: string;
  readonly seq: number;
  readonly heardAt: number;
  readonly members: ReadonlyMap<string, MemberSighting>;
  /** Earlier starts, the latest first. */
  readonly former: readonly string[];
  /** A report was missed: wait for the whole. */
  readonly broken: boolean;
}

/** One sidecar's view that counts now: name → how it sees that member. */
export type View = ReadonlyMap<string, MemberSighting>;

/** `wanted`: ask it for the whole. `same`: no member is seen otherwise than before. */
export type Taken = 'changed' | 'same' | 'wanted' | 'stale';

export class Reports {
  readonly #books = new Map<string, Book>();

  /** `now`: monotonic ms. */
  take(node: string, report: MembershipReport, now: number): Taken {
    const book = this.#books.get(node);
    if (book?.former.includes(report.boot)) return 'stale';
    const restarted = book !== undefined && book.boot !== report.boot;
    if (book && !restarted && report.seq <= book.seq) return 'stale';
    const follows = book !== undefined && !restarted && !book.broken && report.seq === book.seq + 1;
    if (!follows && !report.full) {
      // What it said before the gap stands until it is told anew, or too old.
      if (book && !restarted) this.#books.set(node, {...book, broken: true});
      return 'wanted';
    }
    const members = report.full ? new Map<string, MemberSighting>() : new Map(book?.members);
    for (const name of report.gone) members.delete(name);
    for (const sighting of report.members) members.set(sighting.name, sighting);
    const former = restarted ? [book.boot, ...book.former].slice(0, FORMER_BOOTS) : (book?.former ?? []);
    this.#books.set(node, {boot: report.boot, seq: report.seq, heardAt: now, members, former, broken: false});
    return report.members.length > 0 || report.gone.length > 0 || report.full ? 'changed' : 'same';
  }

  /**
   * Only what those have said since then counts: who was away saw the ring as it was before it went, and has no say, back again,
   * until it has told the whole.
   */
  keepOnly(here: ReadonlySet<string>): void {
    for (const [node, book] of this.#books) if (!here.has(node)) this.#books.set(node, {...book, heardAt: -Infinity, members: new Map(), broken: true});
  }

  /** Views of the sidecars that were heard lately, by node. */
  fresh(now: number): ReadonlyMap<string, View> {
    return new Map([...this.#books].filter(([, {heardAt}]) => now - heardAt < FRESH_MS).map(([node, {members}]) => [node, members]));
  }
}
