// Tells the console which zone the browser is in, for operators who have not chosen one.  The element that
// loads this names the cookie and its path: <script type="module" data-zone-cookie="NAME" data-zone-path="PATH">.

const { zoneCookie, zonePath } = document.querySelector("script[data-zone-cookie]").dataset;
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;  // letters, digits and / _ + -
const secure = location.protocol === "https:" ? "; secure" : "";

document.cookie = `${zoneCookie}=${zone}; path=${zonePath}; max-age=31536000; samesite=lax${secure}`;
