import type { ServerUnaryCall, sendUnaryData } from "@grpc/grpc-js";
import { status } from "@grpc/grpc-js";
import type { Clock } from "../../common/base/clock.ts";
import type { PeerIdentity } from "../../common/model/identity.ts";
import type { CertificateRequest, CertificateResponse } from "../../common/xds/certificate-service.ts";
import type { Authenticate } from "./caller.ts";
import { proofOf } from "./caller.ts";

export interface CertificateCallParts {
  readonly authenticate: Authenticate;
  readonly clock: Clock;
  readonly issue: IssueCertificate;
  /** False: this caller had enough for now. */
  readonly mayIssue?: (address: string, caller: PeerIdentity) => boolean;
  readonly onIssued?: (caller: PeerIdentity) => void;
  /** `why` is a sentence for the log; it holds no token. */
  readonly onRefused?: (who: string, why: string) => void;
}

/** Signs a request for a caller: the chain, roots last; or why not, as a phrase that follows "the signing request". */
export type IssueCertificate = (
  request: CertificateRequest,
  caller: PeerIdentity,
) => Promise<
  { readonly ok: true; readonly chain: readonly string[] } | { readonly ok: false; readonly why: string }
>;

/** Answers CreateCertificate: whoever proves who it is gets a certificate for that name and no other. */
export function answerCertificateCalls(parts: CertificateCallParts) {
  return (
    call: ServerUnaryCall<CertificateRequest, CertificateResponse>,
    reply: sendUnaryData<CertificateResponse>,
  ): void => {
    const refuse = (code: status, details: string, who = call.getPeer()) => {
      parts.onRefused?.(who, details);
      reply({ code, details });
    };
    void (async () => {
      let caller: PeerIdentity | undefined;
      try {
        caller = await parts.authenticate(proofOf(call, parts.clock.now()));
      } catch (cause) {
        return refuse(status.UNAVAILABLE, `cannot tell who calls: ${(cause as Error).message}`);
      }
      if (caller === undefined)
        return refuse(
          status.UNAUTHENTICATED,
          "neither a valid certificate nor a token that this control plane knows",
        );
      if (parts.mayIssue?.(call.getPeer(), caller) === false)
        return refuse(
          status.RESOURCE_EXHAUSTED,
          `${caller.principal} asks for certificates too often; try again later`,
          caller.principal,
        );
      const issued = await parts.issue(call.request, caller);
      if (!issued.ok)
        return refuse(status.INVALID_ARGUMENT, `the signing request ${issued.why}`, caller.principal);
      parts.onIssued?.(caller);
      reply(null, { chain: [...issued.chain] });
    })().catch((cause: Error) => refuse(status.INTERNAL, cause.message));
  };
}
