import type { Socket } from "node:net";
import type { Listener } from "../../common/model/listener.ts";
import type { SocketAddress } from "../../common/model/node.ts";
import type { ServiceFor } from "./open-listener.ts";

/** A port that config has opened, whatever is answered there. */
export interface OpenPort {
  readonly listener: Listener;
  /** Connections open now. */
  readonly connections: number;
  /** The port that is open; 0 before it is. */
  readonly port: number;
  /** Takes config for its address; to be called before `open` too. */
  configure(listener: Listener, serviceFor: ServiceFor): Promise<void>;
  /** Rejects with an Error that says where, why and what to do. */
  open(): Promise<void>;
  /** Closes the port and lets what is under way finish, for `limitMs` ms at most. Settles when it has. */
  drain(idleGraceMs: number, limitMs: number): Promise<void>;
  /** Ends everything now. */
  stop(): void;
  /** Takes a connection that another listener accepted; absent where there are none. */
  takeOver?(socket: Socket, destination: SocketAddress): void;
}
