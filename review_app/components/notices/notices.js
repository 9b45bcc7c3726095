// Says that a generation is published: a dot in the tab's title while the tab is in the background, and, if a
// person asked for it, a notification of the browser. Also asks before a tab with unsaved settings is closed.

const SECONDS = 10;
const WANTED = "sid/notify";
const DOT = "● ";

class Notices {
  constructor() {
    this.states = null;
    this.isReady = false;
    this.unsaved = false;
    this.timer = setInterval(() => this.look(), SECONDS * 1000);
    document.addEventListener("visibilitychange", () => this.seen());
    // Streamlit sets the title at each run of its script.
    new MutationObserver(() => this.title()).observe(document.head, { subtree: true, childList: true, characterData: true });
    addEventListener("beforeunload", (event) => {
      if (this.unsaved) event.preventDefault();
    });
    // On a phone the sidebar covers the page that a link in it leads to.
    document.addEventListener("click", (event) => {
      if (innerWidth > 768 || !event.target.closest?.("[data-testid=stSidebar] a")) return;
      document.querySelector("[data-testid=stSidebarCollapseButton] button")?.click();
    });
    this.look();
  }

  async look() {
    try {
      const answer = await fetch("/ready");
      if (!answer.ok) return;
      const states = await answer.json();
      if (this.states) {
        Object.entries(states).forEach(([project, { generation, ready }]) => {
          const before = this.states[project];
          if (ready && !(before?.ready && before.generation === generation)) this.tell(project, generation);
        });
      }
      this.states = states;
    } catch {
      // the server is away: the deck and Streamlit say so
    }
  }

  tell(project, generation) {
    if (!document.hidden) return;
    this.isReady = true;
    this.title();
    if (!isWanted()) return;
    const shown = new Notification(`${project}: generation ${generation} is published`, { tag: `sid ${project}` });
    shown.onclick = () => {
      window.focus();
      shown.close();
      location.assign(`/?project=${encodeURIComponent(project)}`);
    };
  }

  seen() {
    if (document.hidden) return;
    this.isReady = false;
    this.title();
  }

  title() {
    const plain = document.title.replaceAll(DOT, "");
    const wanted = this.isReady ? DOT + plain : plain;
    if (document.title !== wanted) document.title = wanted;
  }
}

const canNotify = () => window.isSecureContext && "Notification" in window && Notification.permission !== "denied";
const isWanted = () => canNotify() && Notification.permission === "granted" && localStorage.getItem(WANTED) === "yes";

export default function ({ data, parentElement }) {
  window.sidNotices ??= new Notices(); // one for the tab: the component comes and goes with the pages
  window.sidNotices.unsaved = data.unsaved;
  const label = parentElement.querySelector("label");
  const box = label.querySelector("input");
  label.hidden = !canNotify();
  box.checked = isWanted();
  box.onchange = async () => {
    localStorage.setItem(WANTED, box.checked ? "yes" : "no");
    if (box.checked && Notification.permission === "default") await Notification.requestPermission();
    box.checked = isWanted();
    label.hidden = !canNotify();
  };
}
