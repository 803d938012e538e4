import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { crdFileName, crdOf } from "./crd/crd.ts";
import { resourceReference } from "./crd/reference.ts";
import { kindDefinitions } from "./index.ts";
import { formatYaml } from "./yaml.ts";

/** `npm run crds`: writes `crds/<kind>.yaml` and the reference page from the schemas. */
const folder = fileURLToPath(new URL("../../crds/", import.meta.url));
mkdirSync(folder, { recursive: true });
for (const definition of kindDefinitions) {
  writeFileSync(join(folder, crdFileName(definition)), formatYaml(crdOf(definition)));
}
writeFileSync(
  fileURLToPath(new URL("../../docs/reference/resources.md", import.meta.url)),
  resourceReference(),
);
