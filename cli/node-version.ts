/** What package.json's `engines` asks for; npm only warns about it. */
const oldest = [22, 19] as const;

/** What to tell who runs us with a Node that lacks what we use; undefined when it is new enough. `version` is like `22.19.0`. */
export function complaintAboutNode(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > oldest[0] || (major === oldest[0] && minor >= oldest[1])) return undefined;
  return `weft: this is Node ${version}, and ${oldest.join(".")} or newer is needed; in a checkout, npm run -s weft -- uses the project's own`;
}
