// The ticket leaves the address bar and the history before anything else, and
// goes on in the body of a request of this very origin.
const ticket = location.hash.slice(1);
if (ticket && location.pathname === "/enter") {
  history.replaceState(null, "", "/enter");
  const form = document.getElementById("ticket");
  form.elements.ticket.value = ticket;
  form.submit();
}
