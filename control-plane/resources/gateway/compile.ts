import type { ServiceProtocol } from "../../../common/model/service.ts";
import { compileLabels } from "../fields/labels.ts";
import { protocolOf } from "../fields/protocol.ts";
import type { SpecContext } from "../kind.ts";
import type { CompiledGateway, CompiledServer, ServerHost } from "./compiled.ts";
import type { GatewaySpec } from "./schema.ts";
import { compileServerTls } from "./tls.ts";

export function compileGateway(spec: GatewaySpec, context: SpecContext): CompiledGateway {
  return {
    kind: "Gateway",
    selector: compileLabels(spec.selector),
    servers: spec.servers.map((server, index) => {
      const tls = compileServerTls(server.tls);
      return {
        port: server.port.number,
        name: server.port.name,
        ...(server.bind === undefined ? {} : { bind: server.bind }),
        protocol: compileProtocol(protocolOf(server.port.protocol), tls !== undefined),
        ...(tls && { tls }),
        ...(server.tls?.httpsRedirect ? { httpsRedirect: true as const } : {}),
        hosts: server.hosts.map(compileServerHost),
        source: context.sourceOf(["servers", index]),
      };
    }),
  };
}

function compileProtocol(
  protocol: ServiceProtocol | undefined,
  endsTls: boolean,
): CompiledServer["protocol"] {
  if (protocol === "http") return "http";
  if (protocol === "https" || protocol === "tls") return endsTls ? protocol : "passthrough";
  return "tcp";
}

/** Without a namespace, VirtualServices of every namespace may bind (Istio). Short names are not resolved here. */
function compileServerHost(text: string): ServerHost {
  const slash = text.indexOf("/");
  return { namespace: slash === -1 ? "*" : text.slice(0, slash), host: text.slice(slash + 1).toLowerCase() };
}
