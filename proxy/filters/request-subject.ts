import type { AccessPeer, AccessSubject } from "../../common/routing/access-subject.ts";
import { canonicalAuthority } from "../../common/routing/host.ts";
import { pathEnd } from "../../common/routing/request-view.ts";
import type { Exchange } from "../http/exchange.ts";

/** A request as authorization sees it. Reads the exchange when asked, so that what no policy looks at costs nothing. */
export class RequestSubject implements AccessSubject {
  readonly request: Exchange;
  #path: string | undefined = undefined;
  #authority: string | undefined = undefined;

  constructor(exchange: Exchange) {
    this.request = exchange;
  }

  get path(): string {
    const { path } = this.request;
    this.#path ??= path.slice(0, pathEnd(path));
    return this.#path;
  }

  get authority(): string {
    this.#authority ??= canonicalAuthority(this.request.authority);
    return this.#authority;
  }

  get sourceIp(): string {
    return this.request.downstream.remote.host;
  }

  /** Behind a gateway of ours the last address in X-Forwarded-For is the one that it saw (Envoy without use_remote_address). */
  get remoteIp(): string {
    const { clientAddress, headers, downstream } = this.request;
    if (clientAddress !== undefined) return clientAddress;
    const forwarded = headers.joined("x-forwarded-for");
    return forwarded?.slice(forwarded.lastIndexOf(",") + 1).trim() || downstream.remote.host;
  }

  get destinationIp(): string {
    const { destination, local } = this.request.downstream;
    return (destination ?? local).host;
  }

  get destinationPort(): number {
    const { destination, local } = this.request.downstream;
    return (destination ?? local).port;
  }

  get serverName(): string | undefined {
    return this.request.downstream.serverName;
  }

  get peer(): AccessPeer | undefined {
    return this.request.downstream.peer;
  }

  get claims(): Readonly<Record<string, unknown>> | undefined {
    return this.request.claims;
  }
}
