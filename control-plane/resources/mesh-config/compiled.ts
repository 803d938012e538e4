import type { ExternalAuthorization } from "../../../common/model/external-authorization.ts";

/** Somebody whom policies with CUSTOM may ask. */
export interface ExtensionProvider extends Omit<ExternalAuthorization, "policies"> {
  /** Full name of the service, and its port. */
  readonly host: string;
  readonly port: number;
}
