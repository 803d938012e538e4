import { freePort } from "../support/children.ts";
import type { PeerKind } from "./peer.ts";
import { benchHost, benchPath } from "./peer.ts";
import { meshConfig, startControlPlane, startSidecar } from "./weft.ts";

/** The way in to a workload, where policies judge; without any, so that the line below shows what they cost. */
export const weftInbound: PeerKind = inboundWith("Weft inbound", 0);

/** Each request passes ten DENY rules and is let in by the last of ten ALLOW rules. */
export const weftAuthorization: PeerKind = inboundWith("Weft authorization", 10);

function inboundWith(name: string, policies: number): PeerKind {
  const judged =
    policies === 0 ? "no policies" : `${2 * policies} AuthorizationPolicies by path, method and header`;
  return {
    name,
    does: `the sidecar beside the backend: ${judged}, paths normalised, Istio's metrics; one process`,
    install: async () => ({ ok: true, path: "", version: "" }),
    async start(backendPort) {
      const yaml = [meshConfig(backendPort, 1), ...policiesOf(policies)].join("\n---\n");
      const { stop: stopControlPlane, xds } = await startControlPlane(yaml);
      const inbound = await freePort();
      const sidecar = await startSidecar(xds, [
        ...["--inbound", `127.0.0.1:${inbound}`, "--app", `127.0.0.1:${backendPort}`],
      ]).catch(async (error: unknown) => {
        await stopControlPlane();
        throw error;
      });
      return {
        ...sidecar,
        port: inbound,
        async stop() {
          await sidecar.stop();
          await stopControlPlane();
        },
      };
    },
  };
}

function policiesOf(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => index).flatMap((index) => [
    policy(`deny-${index}`, "DENY", {
      to: [{ operation: { paths: [`/private-${index}*`], notMethods: ["HEAD"] } }],
      when: [{ key: "request.headers[x-role]", notValues: ["admin"] }],
    }),
    policy(`allow-${index}`, "ALLOW", {
      to: [
        {
          operation: {
            methods: ["GET"],
            hosts: [benchHost],
            paths: index === count - 1 ? [`${benchPath}*`] : [`/open-${index}/*`],
          },
        },
      ],
    }),
  ]);
}

function policy(name: string, action: string, rule: object): string {
  return JSON.stringify({
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name, namespace: "bench" },
    spec: { action, rules: [rule] },
  });
}
