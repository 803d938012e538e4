import type { AccessControl } from "../../common/model/authorization.ts";
import type { PeerIdentity } from "../../common/model/identity.ts";
import type { SocketAddress } from "../../common/model/node.ts";
import { CompiledPolicy } from "../../common/routing/access-decision.ts";
import type { AccessSubject } from "../../common/routing/access-subject.ts";
import type { AccessParts } from "./access.ts";
import { askGrpcAboutConnection } from "./ask-grpc.ts";
import { Authorizer, accessDenied } from "./authorize.ts";

/** A connection whose bytes are passed on, as far as policies look at it. */
export interface JudgedConnection {
  readonly downstream: {
    readonly remote: SocketAddress;
    readonly local: SocketAddress;
    /** Where it was meant to go before it was redirected. */
    readonly destination?: SocketAddress;
    readonly serverName?: string;
    readonly peer?: PeerIdentity;
  };
  /** Who kept it out, for the access log. */
  denial: string | undefined;
}

/** Resolves when the connection may be used; rejects with MeshError `access_denied`. */
export type JudgeConnection = (connection: JudgedConnection) => Promise<void>;

/** Who may connect (Envoy's network RBAC and ext_authz filters). Undefined when all may. Throws RegexError. */
export function judgeConnections(
  access: AccessControl | undefined,
  parts: AccessParts,
): JudgeConnection | undefined {
  if (access === undefined) return undefined;
  const authorizer = new Authorizer(access.rules, parts.counts);
  const asked = (access.external ?? []).map((external) => ({
    external,
    policies: external.policies.map((policy) => new CompiledPolicy(policy, false)),
  }));
  return async (connection) => {
    const { remote } = connection.downstream;
    const subject = subjectOf(connection);
    for (const { external, policies } of asked) {
      const asking = policies.find((policy) => policy.matches(subject));
      if (asking === undefined) continue;
      parts.counts.add("asked", asking.policy.name);
      const isAllowed = await askGrpcAboutConnection(external.service, subject, remote.port, parts).catch(
        () => external.failsOpen,
      );
      if (isAllowed) continue;
      connection.denial = `denied by ${external.provider}; asked because of ${asking.policy.name}`;
      throw accessDenied({ detail: "ext_authz_denied", why: connection.denial });
    }
    const denied = authorizer.judge(subject);
    if (denied === undefined) return;
    connection.denial = denied.why;
    throw accessDenied(denied);
  };
}

function subjectOf({ downstream }: JudgedConnection): AccessSubject {
  const { remote, local, destination = local, serverName, peer } = downstream;
  return {
    sourceIp: remote.host,
    remoteIp: remote.host,
    destinationIp: destination.host,
    destinationPort: destination.port,
    serverName,
    peer,
  };
}
