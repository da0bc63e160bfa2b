"""What a bundle says first to whoever opens it."""

from federation.wording import Text

README = Text(
    en="""# {entry}

The evidence for one version of one model: what was trained, by whom, how good it is,
what patients were promised (`items/record.json`), with every signature it rests on.
`dossier.json` says which file proves what.

## Check it yourself, without a network

1. Ask the register, by telephone or on paper and not from this file, for
   - the fingerprint of its trust root. Here it is said to be
     `{keyid}`
   - the SHA-256 of `verify.py`. Here it is said to be
     `{verifier}`
2. Keep this zip file as it is and take `verify.py` out of it:
   `unzip -j THIS-FILE.zip verify.py`
3. Compare its SHA-256 (`sha256sum verify.py`) with what the register told you. Whoever
   could change this file could also change the program in it. Or take the program from
   a source that you trust: `trifed evidence verify` makes the same checks.
4. `pip install cryptography`, then, with the fingerprint the register told you:
   `python3 verify.py THIS-FILE.zip --root {keyid}`

It says OK and ends with exit code 0 only if everything holds; else it names the first
item that does not. Without `--root` it only shows that the file is whole.

If you kept a checkpoint of the register's log from another day, add
`--checkpoint FILE`: then a log that was cut back or rewritten since is found too.
If you have the weights, add `--model FILE`.
""",
    zh="""# {entry}

這是一個模型某一版本的證據:訓練了什麼、由誰訓練、表現如何、對病人作了什麼隱私承諾
(`items/record.json`),以及其所依據的每一個簽章。哪個檔案證明哪件事,列於 `dossier.json`。

## 離線自行驗證

1. 請以電話或書面、而非由本檔案,向登錄系統索取
   - 信任根的指紋。本檔案所稱為
     `{keyid}`
   - `verify.py` 的 SHA-256。本檔案所稱為
     `{verifier}`
2. 保留此 zip 檔原樣,並由其中取出 `verify.py`:
   `unzip -j 本檔案.zip verify.py`
3. 將其 SHA-256(`sha256sum verify.py`)與登錄系統告知的值核對。能更動本檔案的人,也能更動
   其中的程式。您亦可改用可信來源的程式:`trifed evidence verify` 執行相同的檢查。
4. 執行 `pip install cryptography`,再以登錄系統告知的指紋執行:
   `python3 verify.py 本檔案.zip --root {keyid} --lang zh`

全部成立時才會顯示 OK 並以結束碼 0 結束;否則會指出第一個不成立的項目。
未提供 `--root` 時,僅能證明檔案完整無缺。

若您保存了登錄紀錄簿另一日的檢查點,請加上 `--checkpoint 檔案`:紀錄簿若曾遭截短或改寫,
即可發現。若您持有模型權重,請加上 `--model 檔案`。
""",
)
