// Ranks the results of a search: answers first, the history of changes last.
var Scorer = {
  score: ([page, title, anchor, description, score]) =>
    score + (page.startsWith("howto/") ? 50 : page === "changelog" ? -50 : 0),
  // As Sphinx has them.
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: {0: 15, 1: 5, 2: -5},
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
