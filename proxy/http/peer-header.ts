import type { Workload } from "../../common/model/endpoint.ts";

/** Tells the proxy at the other end which workload calls. For telemetry only: anybody can write it, so nothing is allowed because of it. */
export const peerHeader = "x-weft-peer";

/** `name;namespace;service-account;app;version`, each percent-encoded; empty where unknown. */
export function formatPeer({ name, namespace, serviceAccount, labels }: Workload): string {
  const parts = [name, namespace, serviceAccount, labels["app"] ?? "", labels["version"] ?? ""];
  return parts.map(encodeURIComponent).join(";");
}

/** Undefined when the text is not what `formatPeer` writes. */
export function parsePeer(text: string): Workload | undefined {
  const parts = text.split(";");
  if (parts.length !== 5 || text.length > maxLength) return undefined;
  try {
    const [name, namespace, serviceAccount, app, version] = parts.map(decodeURIComponent);
    const labels = { ...(app ? { app } : {}), ...(version ? { version } : {}) };
    return Object.freeze({ name: name!, namespace: namespace!, serviceAccount: serviceAccount!, labels });
  } catch {
    return undefined;
  }
}

const maxLength = 1_024;
