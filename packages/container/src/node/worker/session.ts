/** The node's registration, as the worker sees it: under which session it may ask and report. */
export interface Session {
  /** Undefined while the node is not registered, or the control plane is away. */
  current(): number | undefined;
  /**
   * ms since the last heartbeat that was answered was sent, by a clock that runs while the machine sleeps; infinite where
   * none was. Absent: the control plane is always heard.
   */
  silentMs?(): number;
  /** The control plane refused this session: register again. */
  expired(session: number): void;
  /** Calls after each registration; answers how to stop that. */
  onRegistered(listener: () => void): () => void;
}
