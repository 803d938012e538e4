import { hash } from "node:crypto";
import type { TypeUrl } from "./type-url.ts";

/** One resource as it goes over the wire. Immutable; the same object may be sent to many proxies. */
export interface EncodedResource {
  /** The xDS resource name; for a virtual host `<route configuration>/<virtual host>`. */
  readonly name: string;
  /** Made from the bytes, so that equal content has an equal version also after a restart of the control plane. */
  readonly version: string;
  /** The value of the google.protobuf.Any; the type URL is the key under which the resource is kept. */
  readonly bytes: Uint8Array;
  /** Of a virtual host: what it answers for; a client may ask for it by any host that these cover. */
  readonly domains?: readonly string[];
  /** Of a virtual host or listener: the clusters that it sends to, each once. */
  readonly clusters?: readonly string[];
}

/**
 * Everything that one proxy may ask for, by type and name. Virtual hosts are kept as resources of their own and never inside
 * their route configuration; `serve` puts them inline for clients that do not speak VHDS.
 */
export type ResourceSet = ReadonlyMap<TypeUrl, ReadonlyMap<string, EncodedResource>>;

export function encodedResource(
  name: string,
  bytes: Uint8Array,
  names: Pick<EncodedResource, "domains" | "clusters"> = {},
): EncodedResource {
  return { name, version: contentVersion(bytes), bytes, ...names };
}

/** 16 characters of a SHA-256: enough that two versions of one resource never look alike. */
export function contentVersion(bytes: Uint8Array | string): string {
  return hash("sha256", bytes, "base64url").slice(0, 16);
}
