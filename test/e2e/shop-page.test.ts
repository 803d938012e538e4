import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { BrowserPage } from "../support/browser.ts";
import { findChromium, startBrowser } from "../support/browser.ts";
import type { RunningMesh } from "../support/mesh.ts";
import { startMesh } from "../support/mesh.ts";

/**
 * The shop as a person uses it: its page in a real browser, every call of it through the mesh. A machine without Chromium
 * leaves this out; CI does not, there startBrowser says what is missing.
 */
const isLeftOut = findChromium() === undefined && process.env["CI"] === undefined;

let mesh: RunningMesh;
let page: BrowserPage;

describe.skipIf(isLeftOut)("the shop's page", () => {
  beforeAll(async () => {
    mesh = await startMesh("examples/shop/mesh.yaml");
  });
  afterAll(() => mesh?.stop());
  beforeEach(async () => {
    await apply("reset");
    page = await startBrowser();
    await page.open(`${mesh.gatewayUrl}/ui/`);
  });
  afterEach(() => page?.close());

  it("shows the catalogue and a product with its reviews, and which version served them", async () => {
    await page.shows("Everything a weaver needs");
    expect(await page.run("document.querySelectorAll('.products li').length")).toBe(6);
    await page.click(".products a", "Wool blanket");
    await page.shows("Woven in twill");
    await page.shows("it survived the washing machine");
    expect(await served()).toEqual(["product-v1", "review-v1", "ui-v1"]);
    expect(await page.run("document.querySelectorAll('.stars').length")).toBe(0);
    expect(page.complaints).toEqual([]);
  });

  it("sells: sign in, cart, order", async () => {
    await page.click(".products a", "Table loom");
    await page.click("button", "Put into cart");
    await page.shows("Sign in first");
    await page.click("#sign-in button");
    await page.shows("Hello X");
    await page.click("button", "Put into cart");
    await page.shows("Table loom is in your cart");
    await page.click("nav a", "Cart 1");
    await page.click("button", "Order now");
    await page.shows(/Order [0-9a-f]{8}/);
    await page.shows("€ 249.00");
    expect(await served()).toEqual(
      expect.arrayContaining(["auth-v1", "cart-v1", "customer-v1", "order-v1", "payment-v1"]),
    );
    expect(page.complaints).toEqual([]);
  });

  it("gives user X another version of product and review, and everybody else the old ones", async () => {
    await apply("ab-user");
    await apply("review-stars");
    await page.click("#sign-in button");
    await page.shows("Hello X");
    await page.click(".products a", "Wool blanket");
    await page.shows("You may also like");
    expect(await served()).toContain("product-v2");
    await page.click("#sign-out");
    await page.click(".back");
    await page.click(".products a", "Wool blanket");
    await page.shows("it survived the washing machine");
    await expect.poll(served).toContain("product-v1");
    expect(page.complaints).toEqual([]);
  });

  it("says what is wrong, and offers to try again", async () => {
    await page.run("location.hash = '#/product/99'");
    await page.shows("there is no product 99");
    await page.shows("404");
    await page.click(".notice button", "Try again");
    await page.shows("there is no product 99");
  });

  it("still sells when review is down", async () => {
    const { pid } = mesh.info().workloads.find(({ name }) => name === "review-v1")!;
    process.kill(pid!, "SIGKILL");
    await mesh.logged(/review-v1 ended/);
    await page.click(".products a", "Wool blanket");
    await page.shows("Reviews are not available just now (review answered 503)");
    await page.shows("Put into cart");
  });
});

/** The versions in the page's footer. */
function served(): Promise<string[]> {
  return page.run("[...document.querySelectorAll('#served-by li')].map((item) => item.textContent)");
}

async function apply(scenario: string): Promise<void> {
  const file = `examples/shop/scenarios/${scenario}.yaml`;
  const { code, stdout, stderr } = await mesh.weft("apply", "--wait", "-f", file);
  expect(code, `${stdout}${stderr}`).toBe(0);
}
