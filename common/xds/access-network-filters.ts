import type { AccessControl } from "../model/authorization.ts";
import type { AccessNotes } from "./access-filters.ts";
import { AccessReader, askingRules, shadowOrNot } from "./access-filters.ts";
import { enabledWhen, fromGrpcService, providerOf, toGrpcService } from "./ext-authz.ts";
import messages from "./generated/messages.js";
import type { Reading } from "./wire.ts";
import { anyType, decodeMessage, packAny } from "./wire.ts";

type Filter = messages.envoy.config.listener.v3.Filter;

const { RBAC } = messages.envoy.extensions.filters.network.rbac.v3;
const { ExtAuthz } = messages.envoy.extensions.filters.network.ext_authz.v3;
const { ConnectionLimit } = messages.envoy.extensions.filters.network.connection_limit.v3;

const rbacType = "envoy.extensions.filters.network.rbac.v3.RBAC";
const rbacName = "envoy.filters.network.rbac";
const extAuthzType = "envoy.extensions.filters.network.ext_authz.v3.ExtAuthz";
const limitType = "envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit";

/** The filters before the one that takes the bytes: how many connections, and who may open them. */
export function toNetworkFilters(
  access: AccessControl | undefined,
  maxConnections: number | undefined,
): Filter[] {
  return [
    ...(maxConnections === undefined
      ? []
      : [
          {
            name: "envoy.filters.network.connection_limit",
            typedConfig: packAny(limitType, ConnectionLimit, {
              statPrefix: "edge",
              maxConnections: { value: maxConnections },
            }),
          },
        ]),
    ...(access?.external ?? []).flatMap((external): Filter[] => [
      {
        name: rbacName,
        typedConfig: packAny(rbacType, RBAC, { statPrefix: "tcp.", ...askingRules(external) }),
      },
      {
        name: "envoy.filters.network.ext_authz",
        typedConfig: packAny(extAuthzType, ExtAuthz, {
          statPrefix: "tcp.",
          grpcService: toGrpcService(external.service),
          failureModeAllow: external.failsOpen,
          transportApiVersion: 2,
          filterEnabledMetadata: enabledWhen(rbacName, external.provider),
        }),
      },
    ]),
    ...(access?.rules ?? []).map((rules) => ({
      name: rbacName,
      typedConfig: packAny(rbacType, RBAC, { statPrefix: "tcp.", ...shadowOrNot(rules) }),
    })),
  ];
}

export interface NetworkFilters {
  readonly access?: AccessControl;
  readonly maxConnections?: number;
  /** What is left: the filter that takes the bytes, and what is not understood. */
  readonly others: readonly Filter[];
}

export function fromNetworkFilters(
  filters: readonly Filter[],
  notes: AccessNotes,
  path: string,
  reading: Reading,
): NetworkFilters {
  const reader = new AccessReader(notes, reading);
  const others: Filter[] = [];
  let maxConnections: number | undefined;
  for (const [index, filter] of filters.entries()) {
    const at = `${path}[${index}]`;
    const type = anyType(filter.typedConfig);
    const value = filter.typedConfig?.value ?? new Uint8Array();
    if (type === limitType) {
      const limit = decodeMessage(ConnectionLimit, value, at, reading)?.maxConnections?.value;
      maxConnections = Number(limit ?? 0);
    } else if (type === rbacType) {
      const wire = decodeMessage(RBAC, value, at, reading);
      if (wire) {
        reading.refuseUnknown(wire, rbacType, at);
        if (wire.enforcementType) reading.problem(at, "asks in a way that this version does not know");
        reader.takeRules(wire, at);
      }
    } else if (type === extAuthzType) takeExternal(value, at, reader, reading);
    else others.push(filter);
  }
  const { access } = reader;
  return {
    ...(access === undefined ? {} : { access }),
    ...(maxConnections === undefined ? {} : { maxConnections }),
    others,
  };
}

function takeExternal(value: Uint8Array, path: string, reader: AccessReader, reading: Reading): void {
  const wire = decodeMessage(ExtAuthz, value, path, reading);
  if (wire === undefined) return;
  reading.refuseUnknown(wire, extAuthzType, path);
  const provider = providerOf(wire.filterEnabledMetadata, path, reading);
  const service = fromGrpcService(wire.grpcService, `${path}.grpcService`, reading);
  if (service === undefined) return;
  reader.addExternal(
    {
      provider: provider ?? "",
      service,
      requestHeaders: [],
      failsOpen: wire.failureModeAllow === true,
      statusOnError: 403,
      clearsRoute: false,
    },
    provider,
  );
}
