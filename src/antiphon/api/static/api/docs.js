// Starts Swagger UI on /api/schema. With a signed-in session it sends the CSRF token along, so "Try it out" works.

let csrf = "";
fetch("/api/session", { credentials: "same-origin" })
  .then((response) => (response.ok ? response.json() : {}))
  .then((session) => {
    csrf = session.csrf ?? "";
  })
  .catch(() => {});

window.SwaggerUIBundle({
  url: "/api/schema",
  dom_id: "#docs",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
  requestInterceptor: (request) => {
    if (csrf && !request.headers.Authorization) request.headers["X-CSRFToken"] = csrf;
    return request;
  },
});
