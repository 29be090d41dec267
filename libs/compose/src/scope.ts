/** A place in the file, for what is found there. */
import type {Findings, Notice} from './findings.ts';
import {locate, type Tree} from './tree.ts';

export class Scope {
  readonly #tree: Tree;
  readonly #findings: Findings;
  readonly #path: readonly PropertyKey[];

  constructor(tree: Tree, findings: Findings, path: readonly PropertyKey[] = []) {
    this.#tree = tree;
    this.#findings = findings;
    this.#path = path;
  }

  at(...path: readonly PropertyKey[]): Scope {
    return new Scope(this.#tree, this.#findings, [...this.#path, ...path]);
  }

  error(message: string): void {
    this.#findings.error(this.#path, locate(this.#tree, this.#path), message);
  }

  unsupported(message: string): void {
    this.#notice('unsupported', message);
  }

  info(message: string): void {
    this.#notice('info', message);
  }

  #notice(level: Notice['level'], message: string): void {
    this.#findings.notice(level, this.#path, locate(this.#tree, this.#path), message);
  }
}
