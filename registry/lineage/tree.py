"""A lineage as a tree of text, in the reader's language: one line for each thing."""

from collections.abc import Iterator

from federation.wording import Language, Text
from registry.lineage.graph import Branch, Kind
from registry.lineage.service import Answer

_WIDTH = 28
_KINDS: dict[str, Text] = {
    "model-version": Text(en="version", zh="模型版本"),
    "training-run": Text(en="training run", zh="訓練執行"),
    "dataset-card": Text(en="dataset card", zh="資料卡"),
    "evaluation": Text(en="evaluation", zh="評估"),
    "deployment": Text(en="deployment", zh="部署"),
    "incident": Text(en="incident", zh="事件"),
    "review-cycle": Text(en="review", zh="定期審查"),
    "impact-study": Text(en="impact study", zh="影響性研究"),
    "certification-dossier": Text(en="dossier", zh="查驗登記文件"),
    "evidence-document": Text(en="document", zh="文件"),
    "change-plan": Text(en="change plan", zh="變更控制計畫"),
    "reimbursement": Text(en="reimbursement", zh="健保給付"),
    "data-application": Text(en="data application", zh="資料申請案"),
    "approval": Text(en="approval", zh="核可"),
    "feedback": Text(en="feedback", zh="使用回饋"),
    "export-request": Text(en="export request", zh="攜出申請"),
    Kind.STUDY.value: Text(en="study", zh="研究"),
    Kind.RECIPE.value: Text(en="recipe", zh="訓練配方"),
    Kind.ROUND.value: Text(en="round", zh="回合"),
    Kind.SITE.value: Text(en="site", zh="院所"),
    Kind.DATASET.value: Text(en="data", zh="資料"),
    Kind.APPROVAL.value: Text(en="site's approval", zh="院所核可"),
    Kind.SITE_EVALUATION.value: Text(en="site's evaluation", zh="院所評估"),
    Kind.STATEMENT.value: Text(en="statement", zh="聲明"),
    Kind.PRIVACY.value: Text(en="privacy spent", zh="隱私耗用"),
    Kind.CODE.value: Text(en="code", zh="程式"),
    Kind.ENVIRONMENT.value: Text(en="environment", zh="執行環境"),
}
_RELATIONS: dict[str, tuple[Text, Text]] = {
    "produced-by": (Text(en="produced by", zh="產生自"), Text(en="produced", zh="產生")),
    "produced": (Text(en="produced", zh="產生"), Text(en="produced by", zh="產生自")),
    "of-study": (Text(en="of", zh="屬於"), Text(en="with", zh="包含")),
    "by-recipe": (Text(en="by", zh="依據"), Text(en="used by", zh="用於")),
    "ran-code": (Text(en="ran", zh="執行"), Text(en="ran in", zh="執行於")),
    "in-environment": (Text(en="in", zh="執行於"), Text(en="used by", zh="用於")),
    "trained-on": (Text(en="trained on", zh="訓練資料"), Text(en="trained", zh="用於訓練")),
    "held-by": (Text(en="held by", zh="存放於"), Text(en="holds", zh="持有")),
    "spent": (Text(en="spent", zh="耗用"), Text(en="spent on", zh="耗用於")),
    "had-round": (Text(en="had", zh="包含"), Text(en="of", zh="屬於")),
    "heard": (Text(en="heard", zh="收到"), Text(en="took part in", zh="參與")),
    "approves": (Text(en="approves", zh="核可"), Text(en="approved by", zh="經核可")),
    "approves-use-of": (
        Text(en="approves use of", zh="核可使用"),
        Text(en="approved by", zh="經核可"),
    ),
    "about": (Text(en="about", zh="關於"), Text(en="told by", zh="見於")),
    "evaluates": (Text(en="evaluates", zh="評估"), Text(en="evaluated by", zh="經評估")),
    "evaluated-on": (Text(en="evaluated on", zh="評估資料"), Text(en="used by", zh="用於評估")),
    "at": (Text(en="at", zh="位於"), Text(en="has", zh="設有")),
    "under": (Text(en="under", zh="依據"), Text(en="covers", zh="涵蓋")),
    "under-plan": (Text(en="under", zh="依據"), Text(en="covers", zh="涵蓋")),
    "describes": (Text(en="describes", zh="描述"), Text(en="described by", zh="見於")),
    "is-about": (Text(en="about", zh="關於"), Text(en="has", zh="發生")),
    "is-feedback-on": (Text(en="about", zh="關於"), Text(en="answered by", zh="回饋於")),
    "deploys": (Text(en="runs", zh="部署"), Text(en="deployed as", zh="部署為")),
    "reviews": (Text(en="reviews", zh="審查"), Text(en="reviewed in", zh="經審查")),
    "studies": (Text(en="studies", zh="研究"), Text(en="studied in", zh="經研究")),
    "certifies": (Text(en="certifies", zh="送審"), Text(en="certified in", zh="送審於")),
    "documents": (Text(en="documents", zh="說明"), Text(en="documented in", zh="見於")),
    "pays-for": (Text(en="pays for", zh="給付"), Text(en="paid under", zh="給付於")),
    "rests-on": (Text(en="rests on", zh="引用"), Text(en="cited by", zh="被引用於")),
    "supersedes": (Text(en="corrects", zh="更正"), Text(en="corrected by", zh="更正為")),
    "changes": (Text(en="derived from", zh="衍生自"), Text(en="changed into", zh="變更為")),
    "plans-changes-of": (
        Text(en="plans changes of", zh="規劃變更"),
        Text(en="planned in", zh="規劃於"),
    ),
    "refused": (Text(en="refused", zh="拒絕"), Text(en="refused by", zh="遭拒絕")),
}
"""What an edge is called when it is read forward, and backward."""

_TOTAL = Text(en="{shown} of {total} versions are shown.", zh="共 {total} 個版本,顯示 {shown} 個。")
_CUT = Text(
    en="There is more than is shown; ask for a narrower lineage.",
    zh="內容過多未全部顯示,請縮小查詢範圍。",
)


def kind_title(kind: str, language: Language) -> str:
    """Return what a kind of node is called; a noun without words is called by its name."""
    named = _KINDS.get(kind)
    return kind if named is None else named.say(language)


def relation_title(relation: str, language: Language, *, forward: bool) -> str:
    """Return what an edge is called from where the reader stands; a noun's own by its name."""
    named = _RELATIONS.get(relation)
    if named is None:
        return f"{relation} ->" if forward else f"<- {relation}"
    return named[0 if forward else 1].say(language)


def tree(answer: Answer, language: Language) -> Iterator[str]:
    """Yield the lines of a lineage: the root, what hangs from it, how many there are."""
    for branch in answer.graph.branches():
        yield _line(branch, language)
    if answer.shown != answer.total:
        yield _TOTAL.say(language, shown=answer.shown, total=answer.total)
    if answer.graph.is_cut:
        yield _CUT.say(language)


def _line(branch: Branch, language: Language) -> str:
    node = branch.node
    title = kind_title(node.key.kind, language)
    state = f" [{node.state}]" if node.state else ""
    told = [f"{name}={_short(value)}" for name, value in node.facts.items() if value is not None]
    facts = "  " + ", ".join(told) if told else ""
    if branch.relation is None:
        return f"{title} {node.key.id}{state}{facts}"
    relation = relation_title(branch.relation, language, forward=branch.forward)
    indent = "  " * branch.depth
    return f"{indent}{relation} {title} {_short(node.key.id)}{state}{facts}"


def _short(value: object) -> str:
    """Return a value in one short piece: digests are cut, numbers rounded."""
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    if text.startswith("sha256:"):
        return text[:19]
    return text if len(text) <= _WIDTH * 2 else text[: _WIDTH * 2] + "…"
