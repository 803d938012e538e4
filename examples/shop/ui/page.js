/** The shop's page: views by address fragment, data from the services behind the gateway. */
import { call, currentSession, noteServedBy, setSession } from "./calls.js";
import { itemTable, make, money, notice, say, starsOf, swatch } from "./elements.js";

const view = document.querySelector("#view");
/** Which call of `show` is the last: an answer that comes late must not replace what was asked for since. */
let asked = 0;

const views = [
  [/^#\/product\/(\d+)$/, showProduct],
  [/^#\/cart$/, showCart],
  [/^#\/orders$/, showOrders],
  [/^/, showCatalogue],
];

window.addEventListener("hashchange", () => {
  say("");
  show();
});
document.querySelector("#sign-in").addEventListener("submit", signIn);
document.querySelector("#sign-out").addEventListener("click", signOut);
fetch("index.html").then((response) => noteServedBy(response.headers.get("x-served-by")));
showSession();
await show();

async function show() {
  const mine = ++asked;
  const [pattern, render] = views.find(([candidate]) => candidate.test(location.hash));
  for (const link of document.querySelectorAll("nav a")) {
    link.classList.toggle("here", link.getAttribute("href") === (location.hash || "#/"));
  }
  view.classList.add("loading");
  let parts;
  try {
    parts = await render(...(pattern.exec(location.hash) ?? []).slice(1));
  } catch (error) {
    parts = [failure(error)];
  }
  if (mine !== asked) return;
  view.classList.remove("loading");
  view.replaceChildren(...parts);
}

function failure(error) {
  const again = make("button", { type: "button" }, ["Try again"]);
  again.addEventListener("click", () => act(again, show));
  const box = notice(isSessionOver(error) ? "Your session has ended. Sign in again." : error.message, again);
  box.classList.add("bad");
  return box;
}

async function showCatalogue() {
  const { products } = await call("/productms/products");
  const intro = make("section", { className: "intro" }, [
    make("h1", {}, ["Everything a weaver needs"]),
    make("p", {}, ["Yarn, tools and finished cloth, from eight small services behind one gateway."]),
  ]);
  return [intro, make("ul", { className: "products" }, products.map(productCard))];
}

function productCard(product) {
  return make("li", {}, [
    make("a", { href: `#/product/${product.id}` }, [
      swatch(product),
      make("span", { className: "kind" }, [product.kind]),
      make("h2", {}, [product.name]),
      make("p", {}, [product.description ?? ""]),
      make("span", { className: "price" }, [money(product.price)]),
    ]),
  ]);
}

async function showProduct(id) {
  const product = await call(`/productms/products/${id}`);
  const quantity = make("input", { type: "number", min: "1", max: "100", value: "1", ariaLabel: "Quantity" });
  const add = make("button", { type: "button" }, ["Put into cart"]);
  add.addEventListener("click", () =>
    act(add, async () => {
      if (!currentSession()) throw new Error("Sign in first: a cart belongs to somebody.");
      await call("/cart/items", { productId: product.id, quantity: Number(quantity.value) });
      await countCart();
      say(`${product.name} is in your cart.`);
    }),
  );
  const parts = [
    make("a", { className: "back", href: "#/" }, ["← Catalogue"]),
    make("article", { className: "product" }, [
      swatch(product, "large"),
      make("div", {}, [
        make("span", { className: "kind" }, [product.kind]),
        make("h1", {}, [product.name]),
        make("p", {}, [product.description]),
        make("p", { className: "price" }, [money(product.price)]),
        make("p", { className: "buy" }, [quantity, add]),
      ]),
    ]),
    make("h2", {}, ["What buyers say"]),
    ...reviewParts(product.review),
  ];
  if (product.recommended?.length) {
    parts.push(make("h2", {}, ["You may also like"]));
    parts.push(make("ul", { className: "products" }, product.recommended.map(productCard)));
  }
  return parts;
}

function reviewParts(review) {
  if (review.error) {
    const status = review.status ? ` (review answered ${review.status})` : "";
    return [notice(`Reviews are not available just now${status}. You can buy all the same.`)];
  }
  noteServedBy(review.servedBy);
  const quotes = review.reviews.map(({ reviewer, text, rating }) =>
    make("blockquote", { className: "review" }, [
      ...(rating ? [starsOf(rating)] : []),
      make("p", {}, [text]),
      make("span", { className: "reviewer" }, [reviewer]),
    ]),
  );
  return [make("div", { className: "reviews" }, quotes)];
}

async function showCart() {
  if (!currentSession()) return [make("h1", {}, ["Your cart"]), notice("Sign in to see your cart.")];
  const cart = await call("/cart");
  setCartCount(cart.items);
  if (cart.items.length === 0) return [make("h1", {}, ["Your cart"]), notice("Your cart is empty.")];
  const order = make("button", { type: "button" }, ["Order now"]);
  order.addEventListener("click", () =>
    act(order, async () => {
      const placed = await call("/order/orders", {});
      placed.through.forEach(noteServedBy);
      await countCart();
      location.hash = "#/orders";
    }),
  );
  const empty = make("button", { type: "button", className: "quiet" }, ["Empty the cart"]);
  empty.addEventListener("click", () =>
    act(empty, async () => {
      await call("/cart", undefined, "DELETE");
      await show();
    }),
  );
  return [make("h1", {}, ["Your cart"]), itemTable(cart), make("p", { className: "buy" }, [order, empty])];
}

async function showOrders() {
  const title = make("h1", {}, ["Your orders"]);
  if (!currentSession()) return [title, notice("Sign in to see your orders.")];
  const { orders } = await call("/order/orders");
  if (orders.length === 0) return [title, notice("You have not ordered yet.")];
  const sections = orders
    .toReversed()
    .map((order) =>
      make("section", { className: "order" }, [
        make("h2", {}, [`Order ${order.id.slice(0, 8)}`]),
        make("p", { className: "note" }, [`to ${order.shipTo}, through ${order.through.join(", ")}`]),
        itemTable(order),
      ]),
    );
  return [title, ...sections];
}

async function signIn(event) {
  event.preventDefault();
  const user = new FormData(event.target).get("user");
  await act(event.submitter, async () => {
    setSession(await call("/auth/login", { user, password: user.toLowerCase() }));
    say(`You are ${user} now: rules about this user hold for you.`);
    showSession();
    await show();
  });
}

async function signOut() {
  setSession(undefined);
  say("");
  showSession();
  await show();
}

function showSession() {
  const session = currentSession();
  document.querySelector("#sign-in").hidden = Boolean(session);
  document.querySelector("#signed-in").hidden = !session;
  document.querySelector("#user-name").textContent = session?.user ?? "";
  if (session) countCart().catch(complain);
  else setCartCount([]);
}

async function countCart() {
  setCartCount((await call("/cart")).items);
}

function setCartCount(items) {
  const count = items.reduce((sum, item) => sum + item.quantity, 0);
  const badge = document.querySelector("#cart-count");
  badge.hidden = count === 0;
  badge.textContent = String(count);
}

async function act(button, work) {
  button.disabled = true;
  try {
    await work();
  } catch (error) {
    complain(error);
  } finally {
    button.disabled = false;
  }
}

function complain(error) {
  say(isSessionOver(error) ? "Your session has ended. Sign in again." : error.message, true);
}

/** Tokens do not outlive the auth service. */
function isSessionOver(error) {
  if (error.status !== 401 || !currentSession()) return error.status === 401;
  setSession(undefined);
  showSession();
  return true;
}
