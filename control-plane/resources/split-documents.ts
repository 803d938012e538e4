/** One YAML document's text and the 1-based line on which it begins. */
export interface DocumentText {
  readonly text: string;
  readonly line: number;
}

/**
 * Cuts a text at its document marks, so that a fault in one document cannot spread and an unchanged one need not be read
 * again. YAML gives `---` at the start of a line no other meaning, not even inside texts (YAML 1.2.2 section 9.1.2). A text
 * with directives or `...` stays whole, because those reach across the marks.
 */
export function splitDocuments(text: string): readonly DocumentText[] {
  if (/^(?:%|\.\.\.(?:\s|$))/m.test(text)) return [{ text, line: 1 }];
  const documents: DocumentText[] = [];
  let start = 0;
  let line = 1;
  for (const mark of text.matchAll(/^---(?=\s|$)/gm)) {
    if (mark.index === start) continue;
    const part = text.slice(start, mark.index);
    documents.push({ text: part, line });
    line += countLines(part);
    start = mark.index;
  }
  documents.push({ text: text.slice(start), line });
  return documents;
}

function countLines(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) count++;
  return count;
}
