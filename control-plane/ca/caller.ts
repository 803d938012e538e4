import type { WorkloadIdentity } from "../../common/identity/spiffe.ts";

/** Tells whose a token is. One per kind of token: join tokens now, Kubernetes service-account tokens later. */
export interface TokenVerifier {
  /** For logs: `join token`. */
  readonly name: string;
  /** Undefined: not a token of mine, or not valid. Rejects with an Error when it can't tell now; the caller may try again. */
  verify(token: string): Promise<TokenOwner | undefined>;
}

/** Whose a token is; the trust domain is the mesh's. */
export type TokenOwner = Omit<WorkloadIdentity, "trustDomain">;

/** Asks each verifier in turn. Rejects when none knows the token and one could not tell. */
export async function verifyToken(
  verifiers: readonly TokenVerifier[],
  token: string,
): Promise<TokenOwner | undefined> {
  let failure: Error | undefined;
  for (const verifier of verifiers) {
    try {
      const owner = await verifier.verify(token);
      if (owner !== undefined) return owner;
    } catch (cause) {
      failure = new Error(`${verifier.name}: ${(cause as Error).message}`, { cause });
    }
  }
  if (failure !== undefined) throw failure;
  return undefined;
}
