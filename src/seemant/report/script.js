// Filters of the folded lists: what does not match is hidden. Without scripts everything shows.
for (const bar of document.querySelectorAll(".filters")) {
  const target = document.getElementById(bar.dataset.target);
  const items = [...(target.tBodies ? target.tBodies[0].rows : target.children)];
  const words = new Map();
  const search = bar.querySelector("input");
  const count = bar.querySelector("output");
  const show = () => {
    const wanted = search.value.trim().toLowerCase();
    let shown = 0;
    for (const item of items) {
      let ok = true;
      for (const select of bar.querySelectorAll("select")) {
        ok = ok && (!select.value || item.dataset[select.dataset.key] === select.value);
      }
      if (ok && wanted) {
        if (!words.has(item)) words.set(item, item.textContent.toLowerCase());
        ok = words.get(item).includes(wanted);
      }
      item.hidden = !ok;
      shown += ok;
    }
    count.value = `${shown} of ${items.length}`;
  };
  bar.addEventListener("input", show);
}
