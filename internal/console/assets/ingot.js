// Everything on the pages works without this; it keeps the page of a job alive.
const card = document.querySelector("[data-job]");
if (card) {
  const find = (name) => card.querySelector("[data-" + name + "]");
  const live = document.getElementById("live");
  let heard = Date.now(), told = -10;
  const look = async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch("/jobs/" + card.dataset.job + "/now");
      if (!answer.ok) throw new Error(answer.statusText);
      const now = await answer.json();
      if (now.ended) return location.reload();
      heard = Date.now();
      const bar = card.querySelector("progress");
      if (now.percent >= 0) bar.value = now.percent; else bar.removeAttribute("value");
      find("percent").textContent = now.percent >= 0 ? now.percent + " %" : "";
      find("say").textContent = now.say;
      if (now.percent >= told + 10) { told = now.percent; live.textContent = now.say; }
    } catch { /* the age below says it */ }
    const age = Math.round((Date.now() - heard) / 1000);
    find("age").textContent = age > 5 ? "as of " + age + " seconds ago: the service does not answer" : "";
  };
  setInterval(look, 2000);
}
