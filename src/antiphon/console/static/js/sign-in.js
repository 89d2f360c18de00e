// The sign-in page: takes a pasted link apart and goes to its welcome page on this server.

import { linkForm } from "./link-form.js";

linkForm();
