/**
 * Compiles the messages of used-messages.mjs from the .proto files inside the npm package @grpc/grpc-js-xds into
 * common/xds/generated/ (git-ignored): `messages.js` is protobufjs static code, `messages.d.ts` its types, and
 * `omitted-fields.js` names the fields that were left out. Plain JavaScript, because npm runs it with the host's Node.
 *
 *   node common/xds/build-protos.mjs [--force]
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { protoFiles, usedMessages } from "./used-messages.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const generated = join(here, "generated");
const outputs = ["messages.js", "messages.d.ts", "omitted-fields.js", "omitted-fields.d.ts"];
const require = createRequire(import.meta.url);

function main() {
  const args = process.argv.slice(2);
  const stamp = inputStamp();
  if (args.includes("--force") || !isUpToDate(stamp)) generate(stamp);
}

/** A hash of everything that the output depends on: this script, the list, and the versions of both packages. */
function inputStamp() {
  const hash = createHash("sha256");
  for (const name of ["build-protos.mjs", "used-messages.mjs"]) hash.update(readFileSync(join(here, name)));
  for (const name of ["@grpc/grpc-js-xds", "protobufjs", "protobufjs-cli"]) {
    hash.update(
      `${name}@${JSON.parse(readFileSync(join(packageFolder(name), "package.json"), "utf8")).version}`,
    );
  }
  return hash.digest("hex");
}

function isUpToDate(stamp) {
  const file = join(generated, "stamp");
  return (
    existsSync(file) &&
    readFileSync(file, "utf8") === stamp &&
    outputs.every((name) => existsSync(join(generated, name)))
  );
}

function generate(stamp) {
  const protobuf = require("protobufjs");
  const root = loadProtos(protobuf);
  const omitted = prune(protobuf, root);
  const staticTarget = require("protobufjs-cli/targets/static-module");
  const options = { wrap: "esm", es6: true, root: "weft-xds", encode: true, decode: true, create: true };
  staticTarget(root, options, (error, code) => {
    if (error) fail(`protobufjs-cli could not generate the messages: ${error.message}`);
    mkdirSync(generated, { recursive: true });
    writeFileSync(join(generated, "package.json"), '{ "type": "module" }\n');
    // Half of it is indentation, and every process that loads it keeps the text in memory.
    write("messages.js", code.replaceAll(/^[ \t]+/gm, ""));
    write("messages.d.ts", declarations(protobuf, root));
    write("omitted-fields.js", `export const omittedFields = ${JSON.stringify(omitted)};\n`);
    write(
      "omitted-fields.d.ts",
      "export declare const omittedFields: Readonly<Record<string, Readonly<Record<number, string>>>>;\n",
    );
    write("stamp", stamp);
    console.log(
      `common/xds/generated: ${usedMessages.length} messages, ${Math.round(readFileSync(join(generated, "messages.js")).length / 1024)} kB`,
    );
  });
}

/** Written beside and renamed, so that a process that loads the file meanwhile sees a whole one. */
function write(name, text) {
  const file = join(generated, name);
  writeFileSync(`${file}.${process.pid}`, text);
  renameSync(`${file}.${process.pid}`, file);
}

function loadProtos(protobuf) {
  const deps = join(packageFolder("@grpc/grpc-js-xds"), "deps");
  const folders = ["envoy-api", "xds", "googleapis", "protoc-gen-validate"].map((name) => join(deps, name));
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => {
    // Annotations only decorate; leaving them out spares the descriptor types that they extend.
    if (/^(validate|udpa\/annotations|envoy\/annotations|xds\/annotations)\//.test(target)) return null;
    if (protobuf.common.get(target)) return target;
    for (const folder of folders) if (existsSync(join(folder, target))) return join(folder, target);
    return fail(`@grpc/grpc-js-xds does not hold ${target}; is its version the one in package.json?`);
  };
  return root.loadSync(protoFiles).resolveAll();
}

/** Takes away what is not used; returns message → field number → field name of the fields that went. */
function prune(protobuf, root) {
  const used = new Set(usedMessages);
  const enums = new Set();
  const omitted = {};
  for (const name of usedMessages) {
    const type = root.lookupType(name);
    for (const field of [...type.fieldsArray]) {
      const kind = field.resolve().resolvedType;
      if (kind instanceof protobuf.Enum) enums.add(kind);
      if (!(kind instanceof protobuf.Type) || used.has(kind.fullName.slice(1))) continue;
      omitted[name] ??= {};
      omitted[name][field.id] = field.name;
      if (field.partOf) field.partOf.remove(field);
      type.remove(field);
    }
  }
  sweep(protobuf, root, (object) => {
    if (object instanceof protobuf.Type) return used.has(object.fullName.slice(1));
    return object instanceof protobuf.Enum && enums.has(object);
  });
  return omitted;
}

/** Removes all nested objects that are neither kept nor hold something kept; a type that only holds becomes a namespace. */
function sweep(protobuf, namespace, keep) {
  for (const object of [...namespace.nestedArray]) {
    if (object instanceof protobuf.Namespace) {
      sweep(protobuf, object, keep);
      if (keep(object)) continue;
      if (object.nestedArray.length > 0 && !(object instanceof protobuf.Service)) {
        if (object instanceof protobuf.Type)
          fail(`list ${object.fullName.slice(1)} in used-messages.mjs too`);
        continue;
      }
    } else if (keep(object)) continue;
    namespace.remove(object);
  }
}

/** Every other scalar is a number; 64-bit ones may be Long objects, and none of them is used. */
const scalarTypes = { bool: "boolean", string: "string", bytes: "Uint8Array" };

/** Per message an interface and a namespace with its codec, per enum a union of numbers; nested as in protobuf. */
function declarations(protobuf, root) {
  const lines = ['import type { Reader } from "protobufjs/minimal.js";', "", "declare namespace root {"];
  const visit = (namespace, indent) => {
    for (const object of namespace.nestedArray) {
      const name = object.name;
      if (object instanceof protobuf.Enum) {
        const members = Object.entries(object.values).map(([key, value]) => `readonly ${key}: ${value}`);
        lines.push(`${indent}type ${name} = ${[...new Set(Object.values(object.values))].join(" | ")};`);
        lines.push(`${indent}const ${name}: { ${members.join("; ")} };`);
        continue;
      }
      if (!(object instanceof protobuf.Namespace)) continue;
      const isMessage = object instanceof protobuf.Type;
      if (isMessage) {
        lines.push(`${indent}interface ${name} {`, `${indent}  $unknowns?: Uint8Array[];`);
        for (const field of object.fieldsArray) lines.push(`${indent}  ${field.name}?: ${fieldType(field)};`);
        lines.push(`${indent}}`);
      }
      lines.push(`${indent}namespace ${name} {`);
      if (isMessage) {
        lines.push(`${indent}  function encode(message: root${object.fullName}): { finish(): Uint8Array };`);
        lines.push(`${indent}  function decode(from: Uint8Array | Reader): root${object.fullName};`);
      }
      visit(object, `${indent}  `);
      lines.push(`${indent}}`);
    }
  };
  visit(root, "  ");
  lines.push("}", "export default root;", "");
  return lines.join("\n");
}

function fieldType(field) {
  const scalar = scalarTypes[field.type] ?? "number";
  const type = field.resolvedType ? `root${field.resolvedType.fullName}` : scalar;
  if (field.map) return `{ [key: string]: ${type} } | null | undefined`;
  if (field.repeated) return `${type}[] | null | undefined`;
  return `${type} | null | undefined`;
}

function packageFolder(name) {
  for (let folder = here; ; folder = dirname(folder)) {
    const candidate = join(folder, "node_modules", name);
    if (existsSync(join(candidate, "package.json"))) return candidate;
    if (dirname(folder) === folder) break;
  }
  return fail(`the npm package ${name} is missing, so the xDS messages cannot be compiled: run npm ci first`);
}

function fail(message) {
  console.error(`build-protos: ${message}`);
  process.exit(1);
}

main();
