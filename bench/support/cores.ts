/** The proxy under test has a core of its own; everything else shares the other (DESIGN.md section 1). */
export const proxyCore = 0;
export const loadCore = 1;
