import type { MeshError } from "../errors.ts";

/** What a service said about a request. */
export interface ExternalAnswer {
  readonly isAllowed: boolean;
  /** Allowing: what the request gets; a name that is there is replaced unless it is to be added beside. */
  readonly requestHeaders: readonly ExternalHeader[];
  readonly removedHeaders: readonly string[];
  /** What the answer to the client gets, allowing or refusing. */
  readonly responseHeaders: readonly ExternalHeader[];
  /** Refusing: status and body for the client. */
  readonly status: number;
  readonly body: Buffer;
}

export interface ExternalHeader {
  readonly name: string;
  readonly value: string;
  readonly appends: boolean;
}

/** The body that a service is shown, as far as it was read. */
export interface ShownBody {
  readonly bytes: Buffer;
  readonly isPartial: boolean;
}

/** Asks a service; rejects with MeshError when it does not answer in time or at all. */
export type AskExternal<Q> = (question: Q, body: ShownBody | undefined) => Promise<ExternalAnswer>;

/** Nobody answered: which is no yes. */
export class ExternalFailure extends Error {
  constructor(why: string, options?: { readonly cause: MeshError | unknown }) {
    super(why, options);
    this.name = "ExternalFailure";
  }
}
