import { meshError } from "../../errors.ts";
import { parseContentLength } from "./content-length.ts";
import type { ConnectionOptions } from "./hop-by-hop.ts";
import { noConnectionOptions, parseConnection, removeNominated } from "./hop-by-hop.ts";

/** The fields of a head that mean the same in requests and responses: how its body is framed, and what its connection does. */
export class SharedFields {
  /** Raw name/value pairs that are passed on. */
  readonly raw: string[] = [];
  /** -1 without one. */
  contentLength = -1;
  transferEncoding: string | undefined = undefined;
  #connection: string | undefined = undefined;

  /** Notes a field or keeps it to be passed on. `isPadded`: a tab stood behind its value. Throws `bad_request` for what RFC 9112 6 forbids. */
  add(name: string, value: string, isPadded: boolean): void {
    switch (name.length) {
      case 10:
        if (name.toLowerCase() === "connection") {
          this.#connection = this.#connection === undefined ? value : `${this.#connection},${value}`;
          return;
        }
        break;
      case 14:
        if (name.toLowerCase() === "content-length") {
          const length = parseContentLength(value);
          if (length === -1) throw meshError("bad_request", "http1.invalid_content_length");
          if (this.contentLength !== -1) throw meshError("bad_request", "http1.duplicate_content_length");
          this.contentLength = length;
          this.raw.push(name, String(length));
          return;
        }
        break;
      case 16:
        if (name.toLowerCase() === "proxy-connection") return;
        break;
      case 17:
        if (name.toLowerCase() === "transfer-encoding") {
          if (this.transferEncoding !== undefined || isPadded)
            throw meshError("bad_request", "http1.invalid_transfer_encoding");
          this.transferEncoding = value;
          return;
        }
        break;
    }
    this.raw.push(name, value);
  }

  /** What Connection says; the fields that it nominates are taken out. To be called once, after the last field. */
  settleConnection(): ConnectionOptions {
    if (this.#connection === undefined) return noConnectionOptions;
    const connection = parseConnection(this.#connection);
    if (connection.nominated !== undefined) removeNominated(this.raw, connection.nominated);
    return connection;
  }
}
