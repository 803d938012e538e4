import { describe, expect, it } from "vitest";
import { typeUrl } from "../../common/xds/type-url.ts";
import { sidecar } from "../../test/support/xds-mesh.ts";
import { decodeText } from "../resources/decode-text.ts";
import { buildSnapshot } from "../snapshot/build.ts";
import { encodeResources } from "./encode.ts";
import { translate } from "./translate.ts";

const entry = (host: string) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${host} }
spec:
  hosts: [${host}.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 80, name: http }]
  endpoints: [{ address: 10.0.0.1 }]
`;
const rule = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: a }
spec:
  hosts: [a]
  http: [{ route: [{ destination: { host: b } }], mirror: { host: c } }]
`;
const node = {
  ...sidecar("a"),
  bindings: {
    outbound: { host: "127.0.0.1", port: 15_001 },
    inbound: { host: "10.0.0.1", port: 80 },
    app: { host: "127.0.0.1", port: 8080 },
    servers: new Map(),
  },
};

describe("an encoded resource", () => {
  it("says what it answers for and which clusters it sends to, so that they can be sent with it", () => {
    const { resources } = decodeText([entry("a"), entry("b"), entry("c"), rule].join("---"), "mesh.yaml");
    const encoded = encodeResources(translate(buildSnapshot(resources), node));
    const cluster = (name: string) => `outbound|80||${name}.default.svc.cluster.local`;
    const host = encoded.get(typeUrl["virtual-host"])!.get("http_proxy/a.default.svc.cluster.local:80")!;
    expect(host.domains).toEqual(expect.arrayContaining(["a", "a:80", "a.default.svc.cluster.local"]));
    expect(host.clusters).toEqual([cluster("b"), cluster("c")]);
    const listeners = [...encoded.get(typeUrl.listener)!.values()];
    expect(listeners.flatMap(({ clusters = [] }) => clusters)).toEqual(["inbound|8080||"]);
  });
});
