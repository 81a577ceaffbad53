// Stands in for the back end of KV, which workerd asks over HTTP: every key holds the text that was published.
import published from "published.txt";

export default {
  fetch: () => new Response(published),
};
