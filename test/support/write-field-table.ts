import { writeFileSync } from "node:fs";
import { featurePage, featureStatus } from "./feature-status.ts";
import { fieldCoverage } from "./field-coverage.ts";
import { fieldTable } from "./field-table.ts";

/** The second half of `npm run crds`: the pages that the tests have a part in. */
const { fields } = fieldCoverage();
writeFileSync("docs/reference/fields.md", fieldTable(fields));
writeFileSync("docs/reference/feature-status.md", featurePage(featureStatus(fields)));
