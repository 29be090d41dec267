/** What a Hivemind member tells of its machine, within memberlist's 512 bytes of metadata. */

export interface Metadata {
  readonly zone?: string;
  readonly agentVersion?: string;
  /** `host:port` where the machine's agent or API answers. */
  readonly api?: string;
  readonly tags?: Readonly<Record<string, string>>;
}
