/**
 * The methods that llhttp knows, and nothing else: a method never means one thing to us and another to the next hop. CONNECT is apart,
 * because it names no resource.
 */
const methods = new Map(
  (
    "GET HEAD POST PUT DELETE OPTIONS PATCH TRACE QUERY ACL BIND CHECKOUT COPY LINK LOCK M-SEARCH MERGE MKACTIVITY " +
    "MKCALENDAR MKCOL MOVE NOTIFY PROPFIND PROPPATCH PURGE REBIND REPORT SEARCH SUBSCRIBE UNBIND UNLINK UNLOCK UNSUBSCRIBE"
  )
    .split(" ")
    .map((method) => [method, method] as const),
);

/** The method as the one string that stands for it everywhere; undefined for what is none of ours. */
export function knownMethod(text: string): string | undefined {
  return methods.get(text);
}
