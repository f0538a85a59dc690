-- Events of a Dropbox team, as its API lists them (`events`); `_tag` stands for `.tag` where a collector
-- renamed it. How they get here: docs/sources/dropbox.md.
--
--: source dropbox
--: about Dropbox: team events
--: unwrap events[]
--
--: default serviceName 'Dropbox'
--: default sourceIdentifier 'Dropbox team events'
--: default objectType 'ACTIVITY'
--
--: text timestamp, event_type.".tag", event_type._tag
--: text actor.user.email, actor.user.account_id, actor.admin.email, actor.admin.account_id, actor.app.display_name
--: text origin.geo_location.city, origin.geo_location.region, origin.geo_location.country
--: text origin.geo_location.ip_address, origin.access_method.end_user.".tag", origin.access_method.end_user._tag
--: text assets[].".tag", assets[]._tag, assets[].display_name, assets[].path.contextual, assets[].file_id
--: int assets[].file_size
--: text participants[].user.email

SELECT
    epoch_ms(timestamp) AS timeStamp,

    coalesce(event_type['.tag'], event_type['_tag']) AS actionName,
    coalesce(event_type['.tag'], event_type['_tag']) AS operation,
    coalesce(actor.user.account_id, actor.admin.account_id) AS accountId,
    coalesce(actor.user.email, actor.admin.email, actor.app.display_name) AS "user",
    split_part(lower(coalesce(actor.user.email, actor.admin.email)), '@', 2) AS collabGroup,
    split_part(lower(participants[1].user.email), '@', 2) AS collabGroupAndTarget,

    ip_address(origin.geo_location.ip_address) AS sourceIP,
    lower(origin.geo_location.city) AS city,
    lower(origin.geo_location.region) AS region,
    country_code(origin.geo_location.country) AS country,
    location_id(lower(origin.geo_location.city), country_code(origin.geo_location.country),
                lower(origin.geo_location.region)) AS locationId,
    coalesce(origin.access_method.end_user['.tag'], origin.access_method.end_user['_tag']) AS clientCategory,

    assets[1].file_id AS targetId,
    coalesce(assets[1]['.tag'], assets[1]['_tag']) AS targetType,
    CAST(array_length(assets) AS DOUBLE) AS noOfObjects,

    coalesce(assets[1].display_name, last_segment(assets[1].path.contextual, '/')) AS fileName,
    assets[1].path.contextual AS fileFolderPath,
    file_extension(coalesce(assets[1].display_name, assets[1].path.contextual)) AS fileType,
    assets[1].file_size AS fileSize,
    CASE WHEN coalesce(event_type['.tag'], event_type['_tag']) IN
              ('shared_link_disable', 'shared_content_unshare',
               'shared_content_remove_member') THEN false
         WHEN starts_with(coalesce(event_type['.tag'], event_type['_tag']), 'shared_') THEN true
    END AS fileSharingEnabled,
    CASE WHEN coalesce(event_type['.tag'], event_type['_tag']) = 'file_download' THEN assets[1].file_size END AS downloadBytes,
    CASE WHEN coalesce(event_type['.tag'], event_type['_tag']) = 'file_add' THEN assets[1].file_size END AS uploadBytes
FROM record
