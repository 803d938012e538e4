import { describe, expect, it } from "vitest";
import { buildSnapshot } from "../snapshot/build.ts";
import { decodeText } from "./decode-text.ts";
import type { SavedResource } from "./saved-resource.ts";
import { restoreResource, saveResource } from "./saved-resource.ts";

const text = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: reviews }
spec:
  hosts: [reviews.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP }]
  endpoints: [{ address: 10.0.0.1, ports: { http: 8080 } }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [reviews]
  http:
    - match: [{ uri: { exact: /teapot } }]
      directResponse: { status: 418, body: { string: "short and stout" } }
    - name: rest
      route: [{ destination: { host: reviews } }]
`;

const { resources } = decodeText(text, "mesh.yaml", { now: 5 });
const throughJson = (value: unknown): SavedResource => JSON.parse(JSON.stringify(value)) as SavedResource;

describe("a saved resource", () => {
  it("comes back as it was, with every rule's line, Maps and bytes", () => {
    const restored = resources.map((resource) => restoreResource(throughJson(saveResource(resource))));
    expect(restored).toEqual(resources);
    expect(buildSnapshot(restored.map((resource) => resource!))).toEqual(buildSnapshot(resources));
  });

  it("is read anew: what was tampered with or is no longer understood is not taken from the copy", () => {
    const saved = throughJson(saveResource(resources[1]!));
    const tampered = JSON.parse(
      JSON.stringify(saved).replaceAll("reviews.default", "evil.default"),
    ) as SavedResource;
    const restored = restoreResource({ ...tampered, object: saved.object });
    expect(restored?.compiled).toMatchObject({ hosts: ["reviews.default.svc.cluster.local"] });
    expect(restored?.source.file).toBe("mesh.yaml");
    const invalid = { ...saved, object: { ...saved.object, spec: { hots: ["reviews"] } } };
    expect(restoreResource(invalid)).toBeUndefined();
  });

  it.each([undefined, null, 1, "x", [], {}, { object: {} }, { object: null, source: {}, createdAt: 1 }])(
    "is not made of %j",
    (garbage) => {
      expect(restoreResource(garbage)).toBeUndefined();
    },
  );
});
