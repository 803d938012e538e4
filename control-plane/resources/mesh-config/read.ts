import type { Problem } from "../../../common/base/problem.ts";
import type { Result } from "../../../common/base/result.ts";
import { failed, ok } from "../../../common/base/result.ts";
import { checkSchema } from "../check-schema.ts";
import type { FieldPath, FieldProblem } from "../field-problem.ts";
import { formatFieldPath } from "../field-problem.ts";
import { parseYaml } from "../yaml.ts";
import type { MeshConfigInput } from "./schema.ts";
import { meshConfigSchema } from "./schema.ts";

/** Reads the text of a mesh config; on failure every problem with its line. `file` is only for the messages. */
export function readMeshConfig(text: string, file: string): Result<MeshConfigInput> {
  const [document, ...others] = parseYaml(text, file);
  if (document === undefined || document.value === undefined) return ok({});
  const place = ({ path, meant: _, ...rest }: FieldProblem): Problem => ({
    ...rest,
    path: formatFieldPath(path),
    at: document.locate(path),
  });
  if (others.length > 0) return failed([{ path: "", why: "has a second document", at: others[0]!.start }]);
  if (document.problems.length > 0)
    return failed(document.problems.map((problem) => ({ ...problem, path: formatFieldPath(problem.path) })));
  const { problems, value } = checkSchema(meshConfigSchema, document.value);
  const all = [...problems, ...(value === undefined ? [] : meshConfigProblems(value))];
  return value === undefined || all.length > 0 ? failed(all.map(place)) : ok(value);
}

/** What single fields can't know. */
export function meshConfigProblems({ extensionProviders = [] }: MeshConfigInput): FieldProblem[] {
  const seen = new Set<string>();
  return extensionProviders.flatMap(({ name }, index): FieldProblem[] => {
    const path: FieldPath = ["extensionProviders", index, "name"];
    const isTwice = seen.has(name);
    seen.add(name);
    return isTwice
      ? [{ path, why: `${JSON.stringify(name)} is given twice`, hint: "give each its own name" }]
      : [];
  });
}
