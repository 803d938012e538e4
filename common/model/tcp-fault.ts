/** What is done to connections whose bytes are passed on (own kind Fault, its `tcp`). Each part has its own chance. */
export interface TcpFault {
  /** Before the connection to the endpoint is opened. */
  readonly delay?: { readonly fraction: number; readonly ms: number };
  /** Both ends are reset (RST) `afterMs` after the connection was opened. */
  readonly reset?: { readonly fraction: number; readonly afterMs: number };
  /** Bytes a second, each way for itself. */
  readonly limit?: { readonly fraction: number; readonly kibPerSecond: number };
}
