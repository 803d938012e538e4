import { createHash, randomBytes } from "node:crypto";

/** A fresh token by which one workload of a local mesh proves who it is; 256 bits of chance. */
export function makeJoinToken(): string {
  return `weft-join-${randomBytes(32).toString("base64url")}`;
}

/** What whoever checks tokens keeps in place of one: its SHA-256 sum, hexadecimal. */
export function joinTokenSum(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
